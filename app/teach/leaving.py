"""All of a room as one archive, and its end."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from app import service
from app.access import base
from app.teach import problems
from components.i18n import preferences
from components.i18n.text import say
from engine.rooms import ending
from engine.rooms.records import Room

IN_THE_ARCHIVE = (
    "One ZIP archive: the settings, a table of all runs, and of every run its recipe, its whole curve and "
    "its last picture; what was handed in, votes and bets."
)
WHAT_GOES = (
    "Deleted for good, from this server's memory and its database: the room, its {people} members, their "
    "{runs} runs with all pictures, what they brought and handed in, votes and bets. Export it first if you "
    "want to keep anything."
)
_CSS = """
button { font: inherit; font-size: 0.875rem; color: var(--st-text-color); cursor: pointer;
  background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 6px);
  padding: 0.4rem 0.75rem; min-height: 2.5rem; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:disabled { opacity: 0.6; cursor: progress; }
p { margin: 0.4rem 0 0; color: var(--st-primary-color); }
"""
_JS = """
export default function ({ data: [facts], parentElement }) {
  let button = parentElement.querySelector("button");
  if (!button) {
    button = document.createElement("button");
    const problem = document.createElement("p");
    problem.setAttribute("role", "alert");
    parentElement.append(button, problem);
  }
  const problem = parentElement.querySelector("p");
  if (!button.disabled) button.textContent = facts.label;
  button.onclick = async () => {
    button.disabled = true;
    button.textContent = facts.busy;
    problem.textContent = "";
    try {
      const answer = await fetch(facts.href, { headers: { Authorization: `Bearer ${facts.key}` } });
      if (!answer.ok) throw new Error((await answer.json()).error);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = facts.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (error) {
      problem.textContent = error instanceof TypeError ? facts.failed : error.message;
    }
    button.disabled = false;
    button.textContent = facts.label;
  };
}
"""
_download = st.components.v2.component("foolscope_room_archive", css=_CSS, js=_JS)


def show(room: Room, key: str) -> None:
    """Offer the archive, and to end the room."""
    st.markdown(f"**{say('Export')}**")
    st.caption(say(IN_THE_ARCHIVE))
    anonymous = st.toggle(say("Numbers instead of names"), key=f"teach.anonymous.{room.code}")
    _archive(room, key, anonymous)
    st.markdown(f"**{say('The end')}**")
    _end(room)


def _archive(room: Room, key: str, anonymous: bool) -> None:
    """Draw a button that fetches the archive; the key is in no address, where it would be written down."""
    query = urlencode(preferences.query() | ({"names": "0"} if anonymous else {}))
    facts = {
        "href": f"{base()}/rooms/{room.code}/archive.zip?{query}",
        "key": key,
        "name": f"room-{room.code}.zip",
        "label": say("Export all as one archive"),
        "busy": say("Packing …"),
        "failed": say("The server did not send all of it; try again."),
    }
    # A list, because Streamlit looks for data frames in a bare dict, which imports pandas.
    _download(key=f"teach.archive.{room.code}", data=[facts])


def _end(room: Room) -> None:
    """Offer to end the room; asks once more."""
    rooms = service.rooms()
    with st.popover(say("End the room"), icon=":material/delete:", width="content"):
        people, runs = len(rooms.members(room.code, removed=True)), sum(rooms.run_counts(room.code).values())
        st.markdown(say(WHAT_GOES, people=people, runs=runs))
        if st.button(say("Delete all of it"), type="primary", key="teach.end"):
            if problems.carry_out(lambda: ending.end(service.engine(), rooms, room.code)):
                st.query_params.pop("room", None)
            st.rerun()
