"use strict";
// Comfort only: the page says everything without it.

// Values under the pointer, in pictures whose x axis is time.
(() => {
  const source = document.getElementById("episode-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const number = (value) => (value === null ? "–" : String(value));

  const describe = (step) => {
    const parts = [`t = ${(step * data.period_s).toFixed(data.digits)} s`];
    data.observations.forEach((name, i) => parts.push(`${name} ${number(data.observation[step][i])}`));
    for (const [layer, fired] of Object.entries(data.spikes)) {
      const now = fired[step];
      const list = now.length > 12 ? `${now.slice(0, 12).join(", ")} … (${now.length})` : now.join(", ");
      parts.push(`${layer} fires: ${list || "none"}`);
    }
    const action = data.action[step];
    parts.push(`action: ${Array.isArray(action) ? action.map(number).join(", ") : action}`);
    return parts.join("  ·  ");
  };

  for (const svg of document.querySelectorAll("svg[data-t0]")) {
    const [x0, x1, t0, t1] = ["x0", "x1", "t0", "t1"].map((key) => Number(svg.dataset[key]));
    const box = svg.viewBox.baseVal;
    const readout = svg.closest(".card").querySelector(".readout");
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", "0");
    cursor.setAttribute("y2", String(box.height));
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - frame.left) / frame.width, x0), x1);
      const time = t0 + ((share - x0) / (x1 - x0)) * (t1 - t0);
      const last = data.observation.length - 1;
      const step = Math.min(Math.max(Math.round(time / data.period_s), 0), last);
      const x = (x0 + ((step * data.period_s - t0) / (t1 - t0)) * (x1 - x0)) * box.width;
      cursor.setAttribute("x1", String(x));
      cursor.setAttribute("x2", String(x));
      svg.append(cursor);
      readout.textContent = describe(step);
    });
  }
  for (const readout of document.querySelectorAll(".readout")) {
    readout.textContent = "Move over the picture to read a step.";
  }
})();

// Tables that sort when a heading is clicked.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
      };
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [p, q] = [key(a), key(b)];
        return typeof p === "number" ? p - q : p.localeCompare(q);
      });
      body.append(...(down ? rows.reverse() : rows));
    });
  });
}
