// What the DHCP server tells its clients about the network, and in which order.

import type { DhcpSettings, Settings } from '../base/settings.ts';
import { domainSearch, number, Option, type OptionValue, text } from '../wire/dhcp-options.ts';

/** The options that are the same for every client. With `restrict` there is no way out and no name service. */
export function networkOptions(settings: Settings, dhcp: DhcpSettings): OptionValue[] {
  const { dns, restrict } = settings;
  const list: OptionValue[] = [[Option.SubnetMask, number(4, settings.mask)]];
  if (!restrict) list.push([Option.Router, number(4, settings.gateway)]);
  if (!restrict && dns !== null) list.push([Option.Dns, number(4, dns.address)]);
  list.push([Option.Mtu, number(2, settings.mtu)]);
  if (dhcp.hostname !== null) list.push([Option.HostName, text(dhcp.hostname)]);
  if (dhcp.domainName !== null) list.push([Option.DomainName, text(dhcp.domainName)]);
  if (dhcp.tftpServerName !== null) list.push([Option.TftpServerName, text(dhcp.tftpServerName)]);
  if (dhcp.bootfile !== null) list.push([Option.Bootfile, text(dhcp.bootfile)]);
  if (dhcp.domainSearch.length > 0) list.push([Option.DomainSearch, domainSearch(dhcp.domainSearch)]);
  return list;
}

/** The lease time, then T1 and T2 as RFC 2131 4.4.5 has them. */
export function timeOptions(leaseSeconds: number): OptionValue[] {
  return [
    [Option.LeaseTime, number(4, leaseSeconds)],
    [Option.RenewalTime, number(4, Math.floor(leaseSeconds / 2))],
    [Option.RebindingTime, number(4, Math.floor((leaseSeconds * 7) / 8))],
  ];
}

/** `list` with what `wishes` (option 55) names in front, in its order. RFC 2132 9.8. */
export function inRequestedOrder(
  list: readonly OptionValue[],
  wishes: Uint8Array | undefined,
): OptionValue[] {
  const wanted = [...new Set(wishes)];
  const ordered: OptionValue[] = [];
  for (const code of wanted) ordered.push(...list.filter((option) => option[0] === code));
  ordered.push(...list.filter((option) => !wanted.includes(option[0])));
  return maskBeforeRouter(ordered);
}

/** RFC 2132 3.3: where both are there, the subnet mask comes before the router. */
function maskBeforeRouter(list: OptionValue[]): OptionValue[] {
  const mask = list.findIndex(([code]) => code === Option.SubnetMask);
  const router = list.findIndex(([code]) => code === Option.Router);
  if (mask > router && router >= 0) list.splice(router, 0, ...list.splice(mask, 1));
  return list;
}
