/** Whether something better than the CPU draws WebGL. */

/** WebGL that the CPU computes, by the names that ANGLE, Mesa and Windows give it. */
const SOFTWARE = /SwiftShader|llvmpipe|softpipe|Basic Render/i;

export function isSoftwareRenderer(name: string): boolean {
  return SOFTWARE.test(name);
}

/** `failIfMajorPerformanceCaveat` alone does not tell: headless Chromium sees no caveat in SwiftShader. */
export function hasGpu(): boolean {
  const gl = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true });
  if (gl === null) return false;
  const names = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer: unknown = gl.getParameter(names?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER);
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return !isSoftwareRenderer(String(renderer));
}
