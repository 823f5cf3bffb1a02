const key = "headwaters.token";

/**
 * The token of the page's address, `#token=…`, else the one of this tab. It is taken out of the address, so that it
 * stays neither on the screen nor in the history.
 */
export function knownToken(): string | null {
  const given = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (given !== undefined) {
    keepToken(given);
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  }
  return sessionStorage.getItem(key);
}

/** `null` forgets it. */
export function keepToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(key);
  else sessionStorage.setItem(key, token);
}
