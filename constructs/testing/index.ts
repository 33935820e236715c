export { meshMatchers } from './matchers.ts';
export { type AccessResult, createSimulator, type Simulation, type SimulationRequest, simulate } from './simulate.ts';
