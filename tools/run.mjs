// `npm start` and `npm run start:<app>`: sets up, then becomes the app in this same process. The npm script says `exec`, so that
// no shell stands between npm and this process and keeps SIGTERM to itself.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, setup } from './setup.mjs';

const PARENT_CHECK_MS = 500;

const [app] = process.argv.slice(2);
setup({ native: app !== 'broker' });
endWithNpm();
process.argv.splice(1, 2, join(ROOT, 'dist/apps', app, 'src/main.js'));
await import(pathToFileURL(process.argv[1]).href);

/** npm killed with SIGKILL can forward nothing: an app without its npm stops as at SIGTERM, and leaves no orphan behind. */
function endWithNpm() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const npm = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_CHECK_MS);
  watch.unref();
}
