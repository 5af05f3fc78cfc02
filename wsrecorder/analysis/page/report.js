"use strict";
{
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Colours are named after CSS variables, so that they follow the system's light or dark setting. Only what hangs
  // on a key about colour is looked at: anything else may be a word of the recording that looks alike.
  function painted(value, isColour = false) {
    if (Array.isArray(value)) return value.map((entry) => painted(entry, isColour));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, entry]) => [key, painted(entry, isColour || /color/.test(key))]),
      );
    }
    return isColour && typeof value === "string" && value.startsWith("--") ? colour(value) : value;
  }

  function axis(own) {
    return {
      gridcolor: "--grid", linecolor: "--line", zerolinecolor: "--line", tickcolor: "--line",
      ...own, title: { standoff: 10, font: { size: 12, color: "--soft" }, ...own.title },
    };
  }

  function layout(own) {
    const axes = Object.fromEntries(
      Object.entries(own).filter(([key]) => /^[xy]axis/.test(key)).map(([key, value]) => [key, axis(value)]),
    );
    return painted({
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "--ink" },
      hoverlabel: { bgcolor: "--card", bordercolor: "--line", font: { color: "--ink", size: 12 }, align: "left" },
      legend: { orientation: "h", traceorder: "normal", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { color: "--soft" } },
      margin: { l: 104, r: 12, t: 12, b: 56 }, // the same for all, so that times stand below each other
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "--idle", activecolor: "--accent" },
      ...own, ...axes,
    });
  }

  const places = Object.keys(plots).map((id) => document.getElementById(id));
  const overTime = places.filter((place) => plots[place.id].layout.xaxis.type === "date");
  const ranges = Object.fromEntries(places.map(({ id }) => [id, plots[id].layout.xaxis.range]));

  function draw(place) {
    const { data, layout: own } = plots[place.id];
    const shown = layout({ ...own, xaxis: { ...own.xaxis, range: ranges[place.id] } });
    return Plotly.react(place, painted(data), shown, {
      responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      doubleClick: overTime.includes(place) ? false : "reset",
    });
  }

  // All plots over time show the same stretch of it. Plotly tells of our own changes too, and later: by then the
  // stretch is the one that is known, and nothing is left to do.
  function show(range) {
    for (const place of overTime) ranges[place.id] = range;
    for (const place of overTime) Plotly.relayout(place, { "xaxis.range": [...range] });
  }

  function follow(place) {
    place.on("plotly_relayout", (change) => {
      const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (range[0] !== undefined && String(range) !== String(ranges[place.id])) show(range);
    });
    place.on("plotly_doubleclick", () => show(plots[place.id].layout.xaxis.range));
  }

  const drawn = Promise.all(places.map(draw)).then(() => overTime.forEach(follow));
  drawn.then(() => document.documentElement.setAttribute("data-drawn", String(places.length)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
}
