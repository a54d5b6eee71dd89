// `npm start` and `npm run start:<app>`: sets up, then becomes the app in this same process, so that signals reach it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, setup } from './setup.mjs';

const [app] = process.argv.slice(2);
setup({ native: app !== 'broker' });
process.argv.splice(1, 2, join(ROOT, 'dist/apps', app, 'src/main.js'));
await import(pathToFileURL(process.argv[1]).href);
