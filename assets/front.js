// What the page needs before Streamlit starts.
{
  const { history, location } = window;
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  const framed = window !== window.top; // where Back is the surrounding page's

  // Streamlit knows embed=true alone.
  const here = new URL(location.href);
  if (here.searchParams.get("embed") === "1") {
    here.searchParams.set("embed", "true");
    replace(history.state, "", here);
  }

  // Streamlit makes an entry in the browser's history of every change of the address. Here only another place
  // makes one: another page, or one of these parts. Anything else changes the entry that is there, and so does
  // what a page first writes into a new one.
  const PLACES = ["model", "image", "attack", "target", "mode", "part", "card"];
  const moved = (to) => {
    const now = new URL(location.href).searchParams;
    return PLACES.some((part) => now.get(part) !== to.searchParams.get(part));
  };
  history.replaceState = (state, title, url) => replace({ ...state, written: true }, title, url);
  history.pushState = (state, title, url) => {
    const to = new URL(url ?? location.href, location.href);
    if (to.pathname !== location.pathname) return push(state, title, url);
    const another = history.state?.written && moved(to) && !framed;
    (another ? push : replace)({ ...state, written: true }, title, url);
  };

  // Without the header Host the server takes this page for another site's and refuses its sockets.
  const facts = document.currentScript.dataset;
  const warn = () => {
    const note = document.createElement("p");
    const words = facts[here.searchParams.get("lang")] ?? facts.en;
    note.setAttribute("role", "alert");
    note.dataset.test = "proxy";
    note.textContent = words.replace("{page}", location.host).replace("{host}", facts.host);
    note.style.cssText = "position: fixed; inset: auto 0 0; z-index: 1000000; margin: 0; padding: 12px 16px;" +
      "background: #b33c0b; color: #fff; font: 16px/1.4 system-ui, sans-serif;";
    document.body.append(note);
  };
  if (facts.host !== location.host) document.addEventListener("DOMContentLoaded", warn);
}
