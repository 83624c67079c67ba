import { expect, it } from 'vitest';
import { isSoftwareRenderer } from './gpu.ts';

it.each([
  ['ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)', true],
  ['Google SwiftShader', true],
  ['llvmpipe (LLVM 15.0.6, 256 bits)', true],
  ['llvmpipe, or similar', true],
  ['ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11 vs_5_0 ps_5_0, D3D11)', true],
  ['ANGLE (Intel, Intel(R) UHD Graphics 620 Direct3D11 vs_5_0 ps_5_0, D3D11)', false],
  ['ANGLE (AMD, AMD Radeon Graphics (radeonsi, renoir, LLVM 15.0.6), OpenGL 4.6)', false],
  ['Apple GPU', false],
])('%s computes on the CPU: %s', (name, expected) => {
  expect(isSoftwareRenderer(name)).toBe(expected);
});
