(() => {
  const choices = [...document.querySelectorAll('input[name="language"]')];
  const keep = () => {
    const chosen = choices.find((choice) => choice.checked);
    document.documentElement.lang = chosen.value;
    document.title = document.querySelector(`article[lang="${chosen.value}"]`).dataset.title;
  };
  const asked = location.hash.slice(1);
  const wanted = ["ko", "en"].includes(asked)
    ? asked
    : navigator.language.startsWith("ko") ? "ko" : "en";
  choices.find((choice) => choice.value === wanted).checked = true;
  choices.forEach((choice) => choice.addEventListener("change", keep));
  keep();
})();
