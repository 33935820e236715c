/**
 * The environment variable of a pod's proxy that holds its bootstrap document, as JSON: there, so that Kubernetes can
 * put the pod's name and address in.
 */
export const bootstrapVariable = 'MESHWRIGHT_BOOTSTRAP';
