import { describe } from '@jest/globals';
import { tellAll } from './stories.js';

describe('the service on its own broker and SQLite', () => tellAll({ environment: {} }));
