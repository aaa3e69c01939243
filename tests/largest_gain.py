"""The largest gain any matching can have, by linear programming: an oracle without our code."""

from collections.abc import Sequence

import highspy
import numpy as np

Row = tuple[int, int, int]
"""Participant, Wh, limit."""


def largest_gain(bids: Sequence[Row], offers: Sequence[Row], *, own: bool) -> int:
    """Maximise the sum of (bid - offer) * Wh over all pairs, own ones only where `own`."""
    pairs = [
        (buy, sell)
        for buy, bid in enumerate(bids)
        for sell, offer in enumerate(offers)
        if bid[2] >= offer[2] and (own or bid[0] != offer[0])
    ]
    if not pairs:
        return 0
    model = highspy.Highs()
    model.silent()
    program = highspy.HighsLp()
    rows = len(bids) + len(offers)
    program.num_col_, program.num_row_ = len(pairs), rows
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_ = np.array([bids[b][2] - offers[s][2] for b, s in pairs], dtype=float)
    program.col_lower_ = np.zeros(len(pairs))
    program.col_upper_ = np.full(len(pairs), highspy.kHighsInf)
    program.row_lower_ = np.full(rows, -highspy.kHighsInf)
    program.row_upper_ = np.array([row[1] for row in (*bids, *offers)], dtype=float)
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.arange(len(pairs) + 1) * 2
    program.a_matrix_.index_ = np.array([(b, len(bids) + s) for b, s in pairs]).ravel()
    program.a_matrix_.value_ = np.ones(2 * len(pairs))
    model.passModel(program)
    model.run()
    # A transport problem with whole numbers has a whole optimum; what is left is the solver's.
    value = model.getInfo().objective_function_value
    assert abs(value - round(value)) < 1e-3
    return round(value)


def largest_gain_at_one_price(bids: Sequence[Row], offers: Sequence[Row], *, own: bool) -> int:
    """The same where every order served accepts one price: the best over all prices there are."""
    prices = {row[2] for row in (*bids, *offers)}
    return max(
        (
            largest_gain(
                [bid for bid in bids if bid[2] >= price],
                [offer for offer in offers if offer[2] <= price],
                own=own,
            )
            for price in prices
        ),
        default=0,
    )
