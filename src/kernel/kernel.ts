// What is compiled: see tools/kernel.mjs.
export { copySum, sum } from './sum';
export { bytesTaken, framesTaken, lastTaken, makeTrain, takeTrain } from './train';
