import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { gatewayAddress, PulumiApp } from 'meshwright/pulumi';
import { gateway, shop } from '../../examples/shop/main.ts';

const skipAwait = new pulumi.Config().getBoolean('skipAwait');
const namespace = new k8s.core.v1.Namespace('shop', {
  metadata: { name: shop.namespace, labels: { ...shop.labels, 'meshwright.dev/inject': 'enabled' } },
});
new PulumiApp('shop', shop, { dependsOn: namespace, skipAwait });

export const address = gatewayAddress(gateway).apply((host) => host && `http://${host}`);
