// Streamlit makes an entry in the browser's history of every change of the address. Here only another place
// makes one: another page, or one of the parts below. Anything else changes the entry that is there, and so
// does what the page first writes into a new one.
if (!window.foolscopeHistory) {
  const PLACES = ["model", "image", "attack", "target", "mode", "part", "card"];
  const { history, location } = window;
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  const framed = window !== window.top; // where Back is the surrounding page's
  const moved = (to) => {
    const now = new URL(location.href).searchParams;
    return PLACES.some((part) => now.get(part) !== to.searchParams.get(part));
  };

  window.foolscopeHistory = true;
  history.replaceState = (state, title, url) => replace({ ...state, written: true }, title, url);
  history.pushState = (state, title, url) => {
    const to = new URL(url, location.href);
    const place = to.pathname !== location.pathname;
    if (place) return push(state, title, url);
    const another = history.state?.written && moved(to) && !framed;
    (another ? push : replace)({ ...state, written: true }, title, url);
  };
}
