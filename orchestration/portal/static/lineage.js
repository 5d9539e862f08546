// Pointing at a table or a column lights everything it comes from and everything it goes to.
// The page says the same without this file.
"use strict";

const picture = document.querySelector("svg.lineage");
const edges = picture ? [...picture.querySelectorAll("path.edge")] : [];
const places = picture ? [...picture.querySelectorAll("[data-key]")] : [];
const tableOf = (key) => key.split(".")[0];

function reach(start, forward) {
  const seen = new Set([start]);
  const lit = new Set();
  const waiting = [start];
  while (waiting.length) {
    const key = waiting.pop();
    for (const edge of edges) {
      const near = forward ? edge.dataset.from : edge.dataset.to;
      const far = forward ? edge.dataset.to : edge.dataset.from;
      // What decides over a table's rows (an edge to its head) decides over each of its columns.
      const wholeTable = key === start && !key.includes(".") && tableOf(near) === key;
      if (near !== key && !wholeTable && !(!forward && near === tableOf(key))) continue;
      lit.add(edge);
      if (!seen.has(far)) {
        seen.add(far);
        waiting.push(far);
      }
    }
  }
  return { seen, lit };
}

function light(key) {
  const back = reach(key, false);
  const ahead = reach(key, true);
  const keys = new Set([...back.seen, ...ahead.seen]);
  const tables = new Set([...keys].map(tableOf));
  picture.classList.add("lighting");
  for (const edge of edges) edge.classList.toggle("lit", back.lit.has(edge) || ahead.lit.has(edge));
  for (const place of places) {
    const own = place.dataset.key;
    place.classList.toggle("lit", keys.has(own) || (!own.includes(".") && tables.has(own)));
  }
}

for (const place of places) {
  for (const event of ["pointerenter", "focus"]) place.addEventListener(event, () => light(place.dataset.key));
  for (const event of ["pointerleave", "blur"]) {
    place.addEventListener(event, () => picture.classList.remove("lighting"));
  }
}
