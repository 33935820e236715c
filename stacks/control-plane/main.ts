import { App, synth } from 'meshwright';
import { ControlPlane } from './control-plane.ts';

const app = new App();
new ControlPlane(app, 'control-plane');

synth(app);
