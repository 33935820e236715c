import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { App, Mesh, Port, Service } from 'meshwright';
import { input, PulumiApp } from 'meshwright/pulumi';

/*
 * Takes an image tag from another resource, which is not known before that exists, and a password from the stack.
 */

const build = new kubernetes.core.v1.ConfigMap('build', { metadata: { name: '1.4' } });
const tag = build.id;

const shop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
new Service(shop, 'web', {
  ports: { http: Port.http(8080) },
  workload: {
    image: `example/web:${input(tag)}`,
    env: { PASSWORD: input(new pulumi.Config().requireSecret('password')) },
  },
});
new PulumiApp('east', shop);
