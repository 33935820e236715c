import { injectEnabled, labels } from './names.ts';

type Labels = Readonly<Record<string, string>>;

/** Whether pods made from a template get a sidecar, or are a proxy themselves: the pod's labels decide, then its namespace's. */
export function wantsProxy(podLabels: Labels, namespaceLabels: Labels): boolean {
  const inject = podLabels[labels.inject];
  if (inject !== undefined) return inject === injectEnabled;
  return (
    labels.workload in podLabels || labels.gatewayName in podLabels || namespaceLabels[labels.inject] === injectEnabled
  );
}
