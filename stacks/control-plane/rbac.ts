import type { k8s } from 'cdk8s-plus-27';
import { injectorName, trustBundle } from '../../runtime/injection/index.ts';
import { controlPlane, customResourceDefinitions, groups, refusalsName } from '../../runtime/resources/index.ts';

/*
 * What the controller may do, and nothing more. Of Secrets it may read and write one, in its own namespace.
 */

const watch = ['get', 'list', 'watch'];
const writeStatus = ['update'];

/** Kinds of the Gateway API whose status it writes. */
const gatewayApi = ['gatewayclasses', 'gateways', 'httproutes', 'grpcroutes', 'tcproutes', 'tlsroutes'];
const own = customResourceDefinitions().map(({ metadata }) => metadata.name.split('.')[0]);
const statusOf = (resources: readonly string[]) => resources.map((resource) => `${resource}/status`);

/** In the whole cluster. */
export const clusterRules: readonly k8s.PolicyRule[] = [
  // What the mesh is made of.
  { apiGroups: [''], resources: ['namespaces', 'serviceaccounts', 'services', 'pods'], verbs: watch },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: watch },
  { apiGroups: [groups.gateway], resources: [...gatewayApi, 'referencegrants'], verbs: watch },
  { apiGroups: [groups.meshwright], resources: own, verbs: watch },
  // What it says of these.
  { apiGroups: [groups.gateway], resources: statusOf(gatewayApi), verbs: writeStatus },
  { apiGroups: [groups.meshwright], resources: statusOf(own), verbs: writeStatus },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] },
  // Whose token it is that asks for a certificate.
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  // The trust bundle, in each namespace that has something of the mesh.
  {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: [trustBundle.configMap],
    verbs: [...watch, 'create', 'patch'],
  },
  // The certificate of its webhook.
  {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: [injectorName],
    verbs: [...watch, 'patch'],
  },
];

/** In its own namespace. */
export const ownRules: readonly k8s.PolicyRule[] = [
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['meshwright-ca'], verbs: ['get', 'update'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: [controlPlane.name],
    verbs: ['get', 'update'],
  },
  // What proxies refuse that are connected to another controller than the leader.
  { apiGroups: [''], resources: ['configmaps'], resourceNames: [refusalsName], verbs: ['get', 'update'] },
  // What is to be created has no name that a rule could ask for.
  { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
];
