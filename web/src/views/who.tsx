// Who is signed in, and the way out; nothing where the server asks nobody.
import { remove } from "../api/http";
import { label } from "../format/text";
import { LeaveIcon } from "../parts/icons";
import * as store from "../state/store";

export function Who() {
  const session = store.schema.value?.session;
  if (!session) return null;
  const name = label(session.name ?? session.role, 40);
  return (
    <span class="who">
      <span class="who-name" data-testid="who">
        <bdi>{name}</bdi> <small>{session.role}</small>
      </span>
      <button type="button" class="icon-button" onClick={() => void signOut()} aria-label="Sign out" title={`Sign out ${name} (${session.role})`}>
        <LeaveIcon />
      </button>
    </span>
  );
}

/** The page is loaded anew: what it knows is not for whoever comes next. */
async function signOut(): Promise<void> {
  await remove("/session").catch(() => undefined);
  location.reload();
}
