export {
  PlayedDatagrams as FakeDatagrams,
  PlayedHost as FakeHost,
  PlayedListener as FakeListener,
  PlayedStream as FakeStream,
  type SentDatagram,
} from '../../src/host/played-host.ts';
