import * as pulumi from '@pulumi/pulumi';
import { App } from 'meshwright';
import { PulumiApp } from 'meshwright/pulumi';
import { ControlPlane } from './control-plane.ts';

const config = new pulumi.Config();
const app = new App();
new ControlPlane(app, 'control-plane', {
  image: config.get('image'),
  replicas: config.getNumber('replicas'),
  trustDomain: config.get('trustDomain'),
});

new PulumiApp('meshwright', app, { skipAwait: config.getBoolean('skipAwait') });
