import { useEffect, useState } from "preact/hooks";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const key = "headwaters.theme";
const listeners = new Set<() => void>();
const system = matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", tell);

export function currentTheme(): Theme {
  const kept = localStorage.getItem(key);
  return themes.find((theme) => theme === kept) ?? "system";
}

export function setTheme(theme: Theme): void {
  localStorage.setItem(key, theme);
  applyTheme();
  tell();
}

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = currentTheme();
}

/** Draws again when the theme changes. Returns the current theme. */
export function useTheme(): "light" | "dark" {
  const [, redraw] = useState({});
  useEffect(() => {
    const listener = (): void => redraw({});
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);
  const theme = currentTheme();
  return theme === "system" ? (system.matches ? "dark" : "light") : theme;
}

function tell(): void {
  for (const listener of listeners) listener();
}
