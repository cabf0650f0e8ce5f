"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function theme() {
    const css = getComputedStyle(document.documentElement);
    const color = (name) => css.getPropertyValue(name).trim();
    const axis = { gridcolor: color("--line"), linecolor: color("--line"), zeroline: false };
    return {
      paper: "rgba(0,0,0,0)",
      font: { color: color("--ink"), family: "system-ui, sans-serif", size: 12 },
      hover: { bgcolor: color("--page"), bordercolor: color("--line") },
      axis,
    };
  }

  function themed(layout) {
    const now = theme();
    const narrow = window.innerWidth < 800;
    const legend = narrow
      ? { orientation: "h", y: -0.2 }
      : { x: 1.01, xanchor: "left", y: 1, yanchor: "top" };
    return {
      ...layout,
      paper_bgcolor: now.paper,
      plot_bgcolor: now.paper,
      font: now.font,
      hoverlabel: { ...now.hover, font: now.font },
      xaxis: { ...layout.xaxis, ...now.axis },
      yaxis: { ...layout.yaxis, ...now.axis },
      legend: { ...layout.legend, ...legend },
    };
  }

  for (const source of document.querySelectorAll("script.figure")) {
    const figure = JSON.parse(source.textContent);
    const box = source.parentElement;
    const plot = box.querySelector(".plot");
    const options = { responsive: true, displaylogo: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
    Plotly.newPlot(plot, figure.data, themed(figure.layout), options);
    dark.addEventListener("change", () => Plotly.relayout(plot, themed(plot.layout)));
    const buttons = [...box.querySelectorAll(".switch button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        const samples = button.dataset.axis === "samples";
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        const x = figure.data.map((trace) => (samples ? trace.customdata : trace.x));
        Plotly.update(plot, { x }, {
          "xaxis.title.text": samples ? "samples seen" : "optimizer steps",
          "xaxis.autorange": true,
        });
      });
    }
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains("plain")) return;
      head.tabIndex = 0;
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.cells[column].dataset.order;
        const numeric = head.classList.contains("number");
        const rows = [...table.tBodies[0].rows];
        rows.sort((first, second) => {
          const [a, b] = [key(first), key(second)];
          if (a === "" || b === "") return (a === "") - (b === "");
          const order = numeric && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
      });
    });
  }
})();
