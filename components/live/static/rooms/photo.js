import { say } from "../words.js";
import { Refused } from "./asking.js";

const LARGEST = 2000;
const QUALITY = 0.92;
const TRIES = 4;
const FIRST_DELAY = 1000;

/** A photo no larger than the server keeps it; as it is where this browser cannot read it. */
export async function smaller(file) {
  const address = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = address;
    await image.decode(); // browsers turn it upright by themselves
    const scale = LARGEST / Math.max(image.naturalWidth, image.naturalHeight);
    if (scale >= 1) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(scale * image.naturalWidth);
    canvas.height = Math.round(scale * image.naturalHeight);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // behind what is transparent, as the server has it
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    return blob ?? file;
  } catch {
    return file; // the server knows more kinds, and says what is wrong with it
  } finally {
    URL.revokeObjectURL(address);
  }
}

/**
 * Send a picture; `progress(share)` in [0, 1]. Returns what the server calls it. What gets lost on its way is sent
 * again, a few times; what the server refuses is not.
 */
export async function send(server, blob, name, progress) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sendOnce(server, blob, name, progress);
    } catch (error) {
      if (error instanceof Refused || attempt === TRIES) throw error;
      await new Promise((done) => setTimeout(done, FIRST_DELAY * 2 ** (attempt - 1)));
    }
  }
}

function sendOnce(server, blob, name, progress) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far it is
    request.open("POST", server.at("uploads"));
    request.setRequestHeader("Authorization", `Bearer ${server.token}`);
    request.setRequestHeader("X-File-Name", encodeURIComponent(name.slice(-100)));
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
    request.onload = () => {
      const { status, response } = request;
      if (status === 200) done(response.image);
      else fail(new Refused(response?.error ?? say("The server answered {status}.", { status }), status));
    };
    request.onerror = () => fail(new TypeError("no answer"));
    request.send(blob);
  });
}
