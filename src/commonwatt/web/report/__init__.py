"""The report of a run: one HTML file, in Korean and English, that needs nothing but a browser.

`render` turns a `ReportData` into the whole page. It is a pure function: the same data give the
same text. All charts are SVG drawn here, all styles and the few lines of script are inside the
file, and the page forbids the browser to fetch anything. With JavaScript off everything still
works; the script only picks the reader's language and keeps the document's language right.

Energy and money are printed from integers, every digit. Floats occur only where a shape is drawn.
"""

from commonwatt.web.report.data import MemberLine, ReportData, Text
from commonwatt.web.report.page import render

__all__ = ["MemberLine", "ReportData", "Text", "render"]
