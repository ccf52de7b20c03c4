// ns-3's sessions a second, to compare with benchmarks/simulator.py: a bulk sender of 25 kB over two
// links, without a dialogue, a reader or a record. benchmarks/README.md says how to build it.
//
//     ns3_bulk SESSIONS RATE DELAY      such as: ns3_bulk 200 100Mbps 10ms

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "ns3/bulk-send-helper.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/packet-sink-helper.h"
#include "ns3/packet-sink.h"
#include "ns3/point-to-point-module.h"

using namespace ns3;

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: ns3_bulk SESSIONS RATE DELAY\n");
    return 2;
  }
  const int sessions = std::atoi(argv[1]);
  Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
  uint64_t events = 0, received = 0;
  const std::clock_t began = std::clock();
  for (int session = 0; session < sessions; session++) {
    NodeContainer hosts;  // client, router, server
    hosts.Create(3);
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue(argv[2]));
    link.SetChannelAttribute("Delay", StringValue(argv[3]));
    NetDeviceContainer access = link.Install(hosts.Get(0), hosts.Get(1));
    NetDeviceContainer core = link.Install(hosts.Get(1), hosts.Get(2));
    InternetStackHelper().Install(hosts);
    Ipv4AddressHelper addresses;
    addresses.SetBase("10.0.1.0", "255.255.255.0");
    addresses.Assign(access);
    addresses.SetBase("10.0.2.0", "255.255.255.0");
    const Ipv4Address server = addresses.Assign(core).GetAddress(1);
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();
    BulkSendHelper sender("ns3::TcpSocketFactory", InetSocketAddress(server, 2525));
    sender.SetAttribute("MaxBytes", UintegerValue(25000));
    sender.Install(hosts.Get(0)).Start(Seconds(0));
    PacketSinkHelper sink("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), 2525));
    ApplicationContainer reader = sink.Install(hosts.Get(2));
    reader.Start(Seconds(0));
    Simulator::Stop(Seconds(60));
    Simulator::Run();
    events += Simulator::GetEventCount();
    received += DynamicCast<PacketSink>(reader.Get(0))->GetTotalRx();
    Simulator::Destroy();
  }
  const double took_s = double(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf("%.1f sessions a second, %.0f events a second, %.0f bytes a session\n",
              sessions / took_s, events / took_s, double(received) / sessions);
}
