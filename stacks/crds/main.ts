import { App, synth } from 'meshwright';
import { Crds } from './crds.ts';

const app = new App();
new Crds(app, 'crds');

synth(app);
