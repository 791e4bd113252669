const SVG = "http://www.w3.org/2000/svg";

/** A DOM element. Text goes in as text nodes only, so a label can never become markup. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Write only what differs: thirty times a second, most text stays the same. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or remove an attribute, only when it differs. */
export function mark(node, name, value) {
  if (value == null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

const ICONS = {
  play: "M7 4.5v15l13-7.5z",
  pause: "M6.5 4.5h4v15h-4zM13.5 4.5h4v15h-4z",
  step: "M5 4.5v15l10-7.5zM16.5 4.5h3v15h-3z",
  stop: "M5.5 5.5h13v13h-13z",
  first: "M4.5 4.5h3v15h-3zM19 4.5v15L9 12z",
  replay: "M12 5V1.5L6.5 6 12 10.5V7a5.5 5.5 0 1 1-5.5 5.5h-2A7.5 7.5 0 1 0 12 5z",
  arrow: "M2 11h16.2l-5-5L14.6 4.6 22 12l-7.4 7.4-1.4-1.4 5-5H2z",
};

/** One of the instrument's drawings, in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Change the drawing an icon shows. */
export function redraw(svg, name) {
  mark(svg.firstChild, "d", ICONS[name]);
}
