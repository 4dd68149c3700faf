// Swagger UI has a dark look, but doesn't ask the system for it.
"use strict";

(() => {
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", prefersDark.matches);
  prefersDark.addEventListener("change", apply);
  apply();
})();
