import * as pulumi from '@pulumi/pulumi';
import { App, Mesh, Port, Route, Service } from 'meshwright';
import { input, PulumiApp } from 'meshwright/pulumi';

const shop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
const name = input(pulumi.output('http'));
const web = new Service(shop, 'web', { ports: { [name]: Port.http(8080) }, workload: { image: '' } });
new Route(web, 'all', { parent: web, rules: [] });
new PulumiApp('east', shop);
