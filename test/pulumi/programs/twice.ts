import { App, Mesh } from 'meshwright';
import { PulumiApp } from 'meshwright/pulumi';

for (const id of ['shop', 'shop']) new PulumiApp('east', new Mesh(new App(), id, { trustDomain: 'shop.local' }));
