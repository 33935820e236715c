import { labels, sidecarProxy } from '../../resources/index.ts';
import { type Category, error, some, warning } from './check.ts';
import { controllerDeployment } from './control-plane.ts';
import { barePods, livePods, meshedNamespaces, nameOf, proxyOf, proxyStatusOf, waitingOf } from './pods.ts';

const restart = 'kubectl -n <namespace> rollout restart deployment';
const sidecarImage = 'MESHWRIGHT_SIDECAR_IMAGE';
const podSecurity = 'pod-security.kubernetes.io/enforce';

/** The pods of the mesh. */
export const proxies: Category = {
  name: 'proxies',
  needs: ['control-plane'],
  checks: [
    {
      id: 'namespaces-admit',
      description: 'the namespaces of the mesh admit sidecars',
      async run(cluster) {
        const strict = (await meshedNamespaces(cluster)).filter(({ metadata }) =>
          ['baseline', 'restricted'].includes(metadata.labels?.[podSecurity] ?? ''),
        );
        if (strict.length === 0) return;
        return error(
          `${podSecurity} of ${some(strict.map(({ metadata }) => metadata.name))} refuses the capability NET_ADMIN, with which a pod's connections are redirected`,
          `kubectl label --overwrite namespace <namespace> ${podSecurity}=privileged`,
        );
      },
    },
    {
      id: 'pods-injected',
      description: 'all pods that should have a proxy have one',
      async run(cluster) {
        const bare = await barePods(cluster);
        if (bare.length === 0) return;
        const names = bare.map(
          ({ name, reason }) => `${name} (${reason ?? 'made before injection was on, or past it'})`,
        );
        return warning(`without: ${some(names)}`, restart);
      },
    },
    {
      id: 'proxies-ready',
      description: 'all proxies are ready',
      settles: true,
      async run(cluster) {
        const pods = (await livePods(cluster)).filter((pod) => proxyOf(pod) && !proxyStatusOf(pod)?.ready);
        if (pods.length === 0) return;
        const names = pods.map((pod) => {
          const status = proxyStatusOf(pod);
          const reason = waitingOf(status && [status]);
          return `${nameOf(pod)}${reason ? ` (${reason})` : ''}`;
        });
        return error(`not ready: ${some(names)}`, 'kubectl -n <namespace> logs <pod> -c meshwright-proxy');
      },
    },
    {
      id: 'proxies-current',
      description: 'sidecars are of the image that new pods get',
      async run(cluster) {
        const deployment = await controllerDeployment(cluster);
        const [controller] = deployment!.spec.template.spec.containers;
        const image = controller.env?.find(({ name }) => name === sidecarImage)?.value ?? controller.image;
        const pods = await livePods(cluster, { labelSelector: `${labels.proxy}=${sidecarProxy}` });
        const others = pods.filter((pod) => {
          const found = proxyOf(pod)?.image;
          return found !== undefined && found !== image;
        });
        if (others.length === 0) return;
        const names = others.map((pod) => `${nameOf(pod)} (${proxyOf(pod)?.image})`);
        return warning(`${others.length} are not of ${image}: ${some(names, 3)}`, restart);
      },
    },
  ],
};
