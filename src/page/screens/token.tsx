import { useState } from "preact/hooks";

/** Asks for the token if there is none or the service refuses it. */
export function TokenForm(props: { readonly refused: boolean; readonly onToken: (token: string) => void }) {
  const [token, setToken] = useState("");
  return (
    <main class="token" id="main">
      <h1 tabIndex={-1}>Headwaters</h1>
      {props.refused ? (
        <p class="notice tone-bad" role="alert">
          The service does not take this token.
        </p>
      ) : null}
      <p>
        This page needs the token of the service. <code>headwaters up</code> prints an address with it when it starts.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim() !== "") props.onToken(token.trim());
        }}
      >
        <label>
          Token
          <input
            type="password"
            autocomplete="current-password"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
            required
          />
        </label>
        <button type="submit" class="primary">
          Open
        </button>
      </form>
    </main>
  );
}
