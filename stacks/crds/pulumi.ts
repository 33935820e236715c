import { App } from 'meshwright';
import { PulumiApp } from 'meshwright/pulumi';
import { Crds } from './crds.ts';

const app = new App();
new Crds(app, 'crds');

new PulumiApp('meshwright', app);
