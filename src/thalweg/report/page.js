"use strict";
(() => {
  const { themes, figures } = JSON.parse(document.getElementById("tw-state").textContent);
  const root = document.documentElement;
  const tabs = [...document.querySelectorAll(".tabs a")];
  const panels = tabs.map((tab) => document.getElementById(tab.hash.slice(1)));
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("tw-theme");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : preferred.matches);
  const night = new Map(themes.light.map((colour, i) => [colour, themes.dark[i]]));
  const spatial = (() => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
  })();

  // The figures are stored in the light theme; in the dark one each colour becomes its fellow.
  function themed(value, key = "") {
    if (typeof value === "string") return (key.endsWith("color") && night.get(value)) || value;
    if (Array.isArray(value)) {
      const plain = typeof value[0] === "number" || value[0] === null || Array.isArray(value[0]);
      return plain ? value : value.map((item) => themed(item, key));
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, themed(item, name)]));
  }

  const views = (figure) => figures[figure.dataset.figure];
  const drawable = (view) => spatial || !("scene" in view.layout);

  // On a phone there is no room beside the figure: no colour bar, and the camera steps back to show the labels.
  function narrowed(view) {
    const data = view.data.map((trace) => ("colorbar" in trace ? { ...trace, showscale: false } : trace));
    const layout = { ...view.layout, font: { ...view.layout.font, size: 11 } };
    if (!layout.scene) return { data, layout: stacked({ ...layout, margin: narrow(layout), yaxis: { ...layout.yaxis, automargin: true } }) };
    const { eye } = layout.scene.camera;
    layout.scene = { ...layout.scene, camera: { ...layout.scene.camera, eye: { x: eye.x * 1.3, y: eye.y * 1.3, z: eye.z * 1.3 } } };
    return { data, layout };
  }

  // Numbers need little room at the side; names of rows take what they need.
  const narrow = ({ margin, yaxis2 }) => ({ ...margin, l: 44, r: yaxis2 && yaxis2.overlaying ? 44 : 12 });

  // Two pictures beside each other come to stand below each other.
  function stacked(layout) {
    if (!layout.xaxis2 || !layout.xaxis2.domain) return layout;
    const at = (axis, domain) => ({ ...layout[axis], domain });
    return { ...layout, xaxis: at("xaxis", [0, 1]), yaxis: at("yaxis", [0.58, 1]), xaxis2: at("xaxis2", [0, 1]), yaxis2: at("yaxis2", [0, 0.42]) };
  }

  // A legend of many lines is above the frame, which keeps its height.
  function heightened(plot, { data, layout }) {
    const named = layout.showlegend === false ? 0 : data.filter((trace) => trace.name && trace.showlegend !== false && !layout.scene).length;
    const two = layout.xaxis2 && layout.xaxis2.domain ? 300 : 0;
    const more = plot.clientWidth < 560 ? 20 * Math.max(0, named - 3) + two : 0;
    plot.style.height = more ? `${390 + more}px` : "";
  }

  function draw(figure) {
    const index = Number(figure.dataset.view || 0), stored = views(figure)[index];
    if (!stored || !drawable(stored) || !window.Plotly) return rest(figure); // the picture stays
    const plot = figure.querySelector(".plot");
    if (figure.dataset.drawn !== String(index)) rest(figure);
    else keepCamera(plot);
    plot.hidden = false;
    figure.classList.add("live");
    heightened(plot, stored);
    const fitted = plot.clientWidth < 560 ? narrowed(stored) : stored;
    const { data, layout } = dark() ? themed(fitted) : { data: fitted.data, layout: structuredClone(fitted.layout) };
    if (plot.camera && layout.scene) layout.scene = { ...layout.scene, camera: plot.camera };
    const options = { responsive: true, displaylogo: false, displayModeBar: "hover" };
    figure.dataset.drawn = String(index);
    Plotly.react(plot, data, layout, options).catch((problem) => { rest(figure); console.warn(problem); });
  }

  // A turned surface glides on after the hand is gone; plotly itself remembers only where the hand left it.
  function keepCamera(plot) {
    const scene = plot._fullLayout && plot._fullLayout.scene;
    if (scene && scene._scene) plot.camera = scene._scene.getCamera();
  }

  // A browser keeps only a few 3-D contexts: a figure that is not looked at gives its own back and keeps its camera.
  function rest(figure) {
    const plot = figure.querySelector(".plot");
    if (figure.dataset.drawn !== undefined) {
      keepCamera(plot);
      Plotly.purge(plot);
      delete figure.dataset.drawn;
    }
    plot.hidden = true;
    figure.classList.remove("live");
  }

  const drawn = (panel) => [...panel.querySelectorAll("figure[data-figure]")];

  function show(index, focus, named = true) {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
      panels[i].hidden = i !== index;
      if (i !== index) drawn(panels[i]).forEach(rest);
    });
    if (focus) tabs[index].focus({ preventScroll: true });
    // the bar scrolls sideways; the page must not move
    bar.scrollLeft = tabs[index].offsetLeft - (bar.clientWidth - tabs[index].offsetWidth) / 2;
    faded();
    // read further down, another section begins at its top, under the bar
    const above = document.querySelector("main").getBoundingClientRect().top - bar.offsetHeight;
    if (above < 0) scrollBy({ top: above, behavior: "instant" });
    drawn(panels[index]).forEach(draw);
    if (named) history.replaceState(null, "", "#" + panels[index].id);
  }

  // Without this script the sections stand below each other and their names are links to them.
  tabs[0].parentElement.setAttribute("role", "tablist");
  tabs[0].parentElement.setAttribute("aria-label", "Sections");
  tabs.forEach((tab, i) => {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panels[i].id);
    panels[i].setAttribute("role", "tabpanel");
    panels[i].setAttribute("aria-labelledby", tab.id);
    if (!panels[i].querySelector("button, summary")) panels[i].tabIndex = 0; // to be scrolled by keyboard
    tab.addEventListener("click", (event) => { event.preventDefault(); show(i, false); });
    tab.addEventListener("keydown", (event) => {
      if (event.key === " ") { event.preventDefault(); show(i, true); return; }
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const end = { Home: 0, End: tabs.length - 1 }[event.key];
      if (step === undefined && end === undefined) return;
      event.preventDefault();
      show(end !== undefined ? end : (i + step + tabs.length) % tabs.length, true);
    });
  });

  // Where the bar is narrower than its tabs, its ends fade on the side where there are more.
  const bar = tabs[0].parentElement;
  function faded() {
    root.style.scrollPaddingTop = `${bar.offsetHeight}px`; // its rows are as many as the width wants
    bar.classList.toggle("before", bar.scrollLeft > 4);
    bar.classList.toggle("after", bar.scrollLeft + bar.clientWidth < bar.scrollWidth - 4);
  }
  bar.addEventListener("scroll", faded, { passive: true });
  addEventListener("resize", faded);

  function choose(figure, index) {
    figure.dataset.view = index;
    figure.querySelectorAll(".views button").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.view === String(index))));
  }
  document.querySelectorAll("figure[data-figure]").forEach((figure) => {
    const found = views(figure), first = found.findIndex(drawable);
    if (first > 0) choose(figure, first);
    figure.querySelectorAll(".views button").forEach((button) => {
      if (!drawable(found[button.dataset.view])) {
        button.disabled = true;
        const why = document.createElement("span");
        why.className = "why";
        why.textContent = "3-D needs WebGL, which this browser does not offer.";
        button.parentElement.append(why);
      }
      button.addEventListener("click", () => { choose(figure, button.dataset.view); draw(figure); });
    });
  });

  function retheme() {
    toggle.textContent = dark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", dark() ? "Switch to the light theme" : "Switch to the dark theme");
    document.querySelectorAll("picture source").forEach((source) => { source.media = dark() ? "all" : "not all"; });
    document.querySelectorAll("figure.live").forEach(draw);
  }
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; retheme(); });
  preferred.addEventListener("change", retheme);

  // Paper is white, and nothing can be opened on it.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("picture source").forEach((source) => { source.media = "not all"; });
    document.querySelectorAll("details:not([open])").forEach((d) => { d.open = true; d.dataset.printed = ""; });
  });
  addEventListener("afterprint", () => {
    document.querySelectorAll("details[data-printed]").forEach((d) => { d.open = false; delete d.dataset.printed; });
    retheme();
  });

  const asked = () => panels.findIndex((panel) => "#" + panel.id === location.hash);
  addEventListener("hashchange", () => { if (asked() >= 0) show(asked(), false); });
  retheme();
  show(Math.max(asked(), 0), false, asked() >= 0); // an address that names no section is opened at its top

  // The drawing script is two thirds of the page: it runs once the page is seen and its tabs work.
  addEventListener("load", () => setTimeout(() => {
    const script = document.createElement("script");
    script.textContent = document.getElementById("tw-plotly").textContent;
    document.head.append(script);
    script.remove();
    panels.filter((panel) => !panel.hidden).flatMap(drawn).forEach(draw);
  }));
})();
