/** Arrays that `experiments.toolkit.packing.pack` wrote: {shape, step, type, data}. */

const TYPES = { "<i1": Int8Array, "<i2": Int16Array, "<i4": Int32Array };

/** The values as one Float32Array in row-major order, with `shape` beside them. */
export async function unpack({ shape, step, type, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const whole = new TYPES[type](await new Response(stream).arrayBuffer());
  const row = whole.length / (shape[0] || 1);
  const values = new Float32Array(whole.length);
  const sum = new Float64Array(row);
  for (let i = 0; i < whole.length; i++) values[i] = (sum[i % row] += whole[i]) * step;
  return { shape, values, row: (index) => values.subarray(index * row, (index + 1) * row) };
}
