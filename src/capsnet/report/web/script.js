// Light and dark, the facts behind a cell, and the charts. What is read needs none of this.
const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

// The reader's choice between light and dark outlives a reload where the browser lets files keep it.
const kept = {
  get: () => { try { return localStorage.getItem("scheme"); } catch { return null; } },
  set: (scheme) => { try { localStorage.setItem("scheme", scheme); } catch { /* not kept */ } },
};
const root = document.documentElement;
const toggle = document.getElementById("scheme");
const dark = () => (root.dataset.scheme ?? "") === "dark"
  || (!root.dataset.scheme && matchMedia("(prefers-color-scheme: dark)").matches);
if (kept.get()) root.dataset.scheme = kept.get();
toggle.hidden = false;
toggle.addEventListener("click", () => {
  root.dataset.scheme = dark() ? "light" : "dark";
  kept.set(root.dataset.scheme);
});

// Facts open on hover, focus and click, stay while the pointer is on them, and close on Escape.
const GAP = 6, EDGE = 8;
function place(facts, button) {
  const at = button.getBoundingClientRect(), box = facts.getBoundingClientRect();
  const below = at.bottom + GAP + box.height < innerHeight;
  const left = Math.min(at.left, innerWidth - box.width - EDGE);
  facts.style.left = `${Math.max(EDGE, left)}px`;
  facts.style.top = `${Math.max(EDGE, below ? at.bottom + GAP : at.top - GAP - box.height)}px`;
}
each("[popovertarget]", (button) => {
  const facts = button.popoverTargetElement, row = button.closest("tr");
  let leaving;
  const open = () => {
    clearTimeout(leaving);
    if (!facts.matches(":popover-open")) facts.showPopover();
    place(facts, button);
  };
  const close = () => { if (facts.matches(":popover-open")) facts.hidePopover(); };
  const leave = () => { leaving = setTimeout(close, 150); };
  row.querySelectorAll(".has-facts").forEach((cell) => {
    cell.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && open());
    cell.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave());
  });
  facts.addEventListener("toggle", (event) => event.newState === "open" && place(facts, button));
  button.addEventListener("focus", () => button.matches(":focus-visible") && open());
  button.addEventListener("blur", close);
});
addEventListener("scroll", () => each(".facts:popover-open", (facts) => {
  const button = document.querySelector(`[popovertarget="${facts.id}"]`);
  const { top, bottom } = button.getBoundingClientRect();
  if (bottom < 0 || top > innerHeight) facts.hidePopover();
  else place(facts, button);
}), true);

// Charts: Vega-Lite specifications beside the places where they are drawn.
const views = [];
function draw(figure) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const options = { actions: false, renderer: "svg", ast: true, tooltip: { theme: "page" } };
  return vegaEmbed(figure.querySelector(".plot"), spec, options).then(({ view }) => {
    if (figure.dataset.metrics) views.push([figure, view]);
  });
}
const controls = document.getElementById("controls");
function choose() {
  const metric = controls.elements.metric.value;
  const kinds = [...controls.querySelectorAll("[name=kind]:checked")].map((box) => box.value);
  for (const [figure, view] of views) {
    const logged = figure.dataset.metrics.split(" ").includes(metric);
    figure.querySelector(".metric").textContent = controls.elements.metric.selectedOptions[0].text;
    figure.querySelector(".bare").hidden = logged;
    figure.querySelector(".plot").hidden = !logged;
    if (logged) view.signal("metric", metric).signal("kinds", kinds).resize().runAsync();
  }
}
const figures = [...document.querySelectorAll(".chart")];
if (figures.length) {
  Promise.all(figures.map(draw)).then(() => {
    controls?.addEventListener("change", choose);
    root.dataset.drawn = "yes";
  });
}
