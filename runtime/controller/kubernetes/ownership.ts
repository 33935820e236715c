/** Who applies what the controller writes to the cluster. */
export const fieldManager = 'meshwright-controller';

/** The value of `app.kubernetes.io/managed-by` of what the controller made. */
export const managedBy = 'meshwright';
