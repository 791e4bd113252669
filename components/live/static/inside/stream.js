/** Ask for lines of JSON and hear each as it comes; resolves at the end, or once `signal` has aborted. */
export async function lines(url, heard, signal) {
  try {
    const answer = await fetch(url, { signal });
    if (!answer.ok) return heard({ type: "error", sentence: (await answer.json()).error });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return heard({ type: "error", sentence: null }); // cut off: an end would have been said
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) {
        const line = JSON.parse(part);
        if (signal.aborted) return;
        heard(line);
        if (line.type === "end" || line.type === "error") return;
      }
    }
  } catch (error) {
    if (!signal.aborted) heard({ type: "error", sentence: null });
  }
}
