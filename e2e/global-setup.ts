import { ensureSite } from '../tools/runner/site.ts';

export default async function globalSetup(): Promise<void> {
  await ensureSite();
}
