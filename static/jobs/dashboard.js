"use strict";
// The pages of jobs: what is marked as live is read anew now and then, as often as is chosen, and never while nobody looks.
(() => {
  const KEY = "jobs-refresh";
  const list = (selector) => [...document.querySelectorAll(selector)];

  // A plan goes on by itself; without this, by its button.
  const plan = document.querySelector("form[data-go-on]");
  if (plan) setTimeout(() => plan.requestSubmit(), 200);

  const showTickers = () => list("[data-tick-all]").forEach((one) => { one.hidden = false; });
  showTickers();
  document.addEventListener("click", (event) => {
    if (!event.target.matches("[data-tick-all]")) return;
    const boxes = list("input[type=checkbox][name=job]");
    const isTicking = boxes.some((box) => !box.checked);
    boxes.forEach((box) => { box.checked = isTicking; });
  });

  const select = document.querySelector("[data-refresh]");
  if (!select || !list("[data-live]").length) return;
  const note = document.querySelector("[data-refresh-note]");
  document.querySelector("[data-refresh-bar]").hidden = false;
  const kept = localStorage.getItem(KEY);
  if ([...select.options].some((option) => option.value === kept)) select.value = kept;

  let timer = 0;
  let isAsking = false;

  // Somebody who fills in, ticks or selects must not lose that.
  const isBusy = (region) =>
    Boolean(region.querySelector("input:checked")) ||
    (region.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) ||
    (getSelection().toString() !== "" && region.contains(getSelection().anchorNode));

  const swap = (region, fresh) => {
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && !focused.id && focused.href
      ? [...region.querySelectorAll("a")].filter((one) => one.href === focused.href).indexOf(focused) : -1;
    const open = [...region.querySelectorAll("details[open]")].map((one) => one.id);
    const scrolled = [...region.querySelectorAll(".jobs-table")].map((one) => one.scrollLeft);
    region.replaceChildren(...fresh.childNodes);
    showTickers();
    open.forEach((id) => { const one = id && document.getElementById(id); if (one) one.open = true; });
    [...region.querySelectorAll(".jobs-table")].forEach((one, number) => { one.scrollLeft = scrolled[number] || 0; });
    if (!focused) return;
    const again = focused.id ? document.getElementById(focused.id)
      : [...region.querySelectorAll("a")].filter((one) => one.href === focused.href)[place];
    if (again) again.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      list("[data-live]").forEach((region) => {
        const fresh = page.getElementById(region.id);
        if (fresh && !isBusy(region)) swap(region, fresh);
      });
      note.textContent = "";
    } catch {
      note.textContent = "The last refresh failed; reload the page if that goes on.";
    } finally {
      isAsking = false;
    }
  };

  const planNext = () => {
    clearInterval(timer);
    const seconds = Number(select.value);
    if (seconds && !document.hidden) timer = setInterval(refresh, seconds * 1000);
  };

  select.addEventListener("change", () => { localStorage.setItem(KEY, select.value); planNext(); });
  document.addEventListener("visibilitychange", () => { planNext(); if (!document.hidden && Number(select.value)) refresh(); });
  planNext();
})();
