// Runs before the first paint (the script tag holds rendering back), so that a chosen theme never flashes in the other
// one first.
try {
  const theme = localStorage.getItem("forebay.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
} catch {
  // Storage may be forbidden; the system's preference holds then.
}
