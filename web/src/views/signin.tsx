// Where the server asks who you are: a token once, a strict cookie from then on.
import { useState } from "preact/hooks";
import { ApiError, post } from "../api/http";
import { Failure } from "../parts/notes";
import { Glyph } from "../parts/icons";
import { enter } from "../state/session";
import * as store from "../state/store";

export function SignIn() {
  const [token, setToken] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await post("/session", { token });
      setToken("");
      setError(null);
      await enter();
    } catch (cause) {
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause)));
    }
  };
  return (
    <main class="signin">
      <form onSubmit={(event) => void send(event)}>
        <Glyph />
        <h1>Sign in to Forebay</h1>
        {store.booted.value && <p role="status">Your session has ended.</p>}
        <label for="token">Token</label>
        <input id="token" class="input" type="password" autocomplete="current-password" required value={token} onInput={(event) => setToken(event.currentTarget.value)} />
        {error && <Failure error={error} />}
        <button type="submit" class="button button-main">
          Sign in
        </button>
        <p class="soft">Whoever runs Forebay makes tokens with <code>forebay token new</code>.</p>
      </form>
    </main>
  );
}
