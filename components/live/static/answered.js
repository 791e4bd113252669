const STATE = "data-test-script-state";
const PATIENCE = 10_000;

let last = Promise.resolve();

// Streamlit's page says with whatever it sends which page it is, as it was told last: what follows the press
// of a link, and is sent before the server has answered, calls the reader back.
addEventListener("click", (event) => leads(event) && (last = over()), { capture: true });

/** Wait until Streamlit has answered the link that was pressed last, and whatever else it was asked. */
export async function answered() {
  await last;
  if (busy()) await over();
}

/** Whether a press leads to another page of this site, in this window. */
function leads(event) {
  const link = event.composedPath().find((node) => node.localName === "a");
  return link?.origin === location.origin && !link.target && !link.hasAttribute("download");
}

function busy() {
  const state = document.querySelector(`[${STATE}]`)?.getAttribute(STATE);
  return ["running", "rerunRequested", "stopRequested"].includes(state);
}

/** Wait until Streamlit's script, which is about to run, is over; for so long at most. */
function over() {
  const app = document.querySelector(`[${STATE}]`);
  if (!app) return Promise.resolve();
  return new Promise((resolve) => {
    const watch = new MutationObserver(() => busy() || done());
    const timer = setTimeout(done, PATIENCE);
    function done() {
      watch.disconnect();
      clearTimeout(timer);
      resolve();
    }
    watch.observe(app, { attributeFilter: [STATE] });
  });
}
