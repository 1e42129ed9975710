"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const panels = tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : preferred.matches);

  function themed(layout) {
    const ink = dark() ? "#e6e9ee" : "#1d2733", line = dark() ? "#39424f" : "#d9dee5", paper = dark() ? "#14181f" : "#ffffff";
    const axis = (given) => ({ gridcolor: line, zerolinecolor: line, linecolor: line, ...given });
    const made = {
      paper_bgcolor: paper, plot_bgcolor: paper, uirevision: "kept", hovermode: "closest",
      font: { color: ink, family: "ui-sans-serif, system-ui, sans-serif", size: 13 },
      margin: { l: 62, r: 30, t: 24, b: 52 }, legend: { orientation: "h", y: 1.12 }, ...layout,
    };
    for (const name of ["xaxis", "yaxis", "yaxis2"]) if (layout[name]) made[name] = axis(layout[name]);
    if (made.yaxis2) {
      made.yaxis2 = { ...made.yaxis2, showgrid: false, tickmode: "auto" };
      made.margin = { ...made.margin, r: 66 };
    }
    if (layout.scene) {
      const pane = (given) => axis({ backgroundcolor: paper, color: ink, ...given });
      made.margin = { l: 0, r: 0, t: 0, b: 0 };
      made.scene = { ...layout.scene };
      for (const name of ["xaxis", "yaxis", "zaxis"]) made.scene[name] = pane(layout.scene[name]);
    }
    return made;
  }

  function draw(figure) {
    const views = figures[figure.dataset.figure], index = Number(figure.dataset.view || 0);
    const plot = figure.querySelector(".plot");
    const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["sendDataToCloud", "toImage"] };
    const chosen = views[index];
    if (figure.dataset.drawn !== String(index)) { Plotly.purge(plot); figure.dataset.drawn = String(index); }
    plot.hidden = false;
    figure.classList.add("live");
    const narrow = plot.clientWidth < 560; // no room for a colour bar beside the figure
    const data = narrow ? chosen.data.map((trace) => ("colorbar" in trace ? { ...trace, showscale: false } : trace)) : chosen.data;
    Plotly.react(plot, data, themed(chosen.layout), options);
  }

  function show(index, focus) {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
      panels[i].hidden = i !== index;
    });
    if (focus) tabs[index].focus();
    const bar = tabs[index].parentElement; // the bar scrolls sideways; the page must not move
    bar.scrollLeft = tabs[index].offsetLeft - (bar.clientWidth - tabs[index].offsetWidth) / 2;
    panels[index].querySelectorAll("figure[data-figure]").forEach(draw);
    history.replaceState(null, "", "#" + panels[index].id);
  }

  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => show(i, false));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const end = { Home: 0, End: tabs.length - 1 }[event.key];
      if (step === undefined && end === undefined) return;
      event.preventDefault();
      show(end !== undefined ? end : (i + step + tabs.length) % tabs.length, true);
    });
  });
  document.querySelectorAll(".views button").forEach((choice) => choice.addEventListener("click", () => {
    const figure = choice.closest("figure");
    figure.dataset.view = choice.dataset.view;
    figure.querySelectorAll(".views button").forEach((b) => b.setAttribute("aria-pressed", String(b === choice)));
    draw(figure);
  }));

  function retheme() {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(dark()));
    document.querySelectorAll("section:not([hidden]) figure.live").forEach(draw);
  }
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; retheme(); });
  preferred.addEventListener("change", retheme);
  retheme();
  const asked = panels.findIndex((panel) => "#" + panel.id === location.hash);
  show(asked < 0 ? 0 : asked, false);
})();
