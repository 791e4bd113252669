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
}
