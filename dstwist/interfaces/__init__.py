"""
The interfaces between the parts of dstwist, each named for a role. Authors of plug-ins import them from here.

=====================  ==================================================================================
L{.transport}          codecs, wires, links and what receives their payloads
L{.requests}           the parties that ask, their work, and the topics that serve them
L{.permission}         decisions on what a client may do
L{.authentication}     decisions on who a client is
L{.records}            caches and storages
L{.http}               handlers of HTTP requests
L{.lifecycle}          parts that start and stop
L{.plugins}            code of the operator beside the parts
L{.cluster}            other nodes
=====================  ==================================================================================
"""

from __future__ import annotations

from dstwist.interfaces.authentication import HandshakeData, IAuthenticator, IDepartures, Login, PeerCertificate
from dstwist.interfaces.cluster import IBus, IClusterTable, IClusterTableHost, TableReading
from dstwist.interfaces.http import HttpAnswer, HttpOutcome, HttpRequest, HttpStream, IHttpHandler, IStreamWriter, Route
from dstwist.interfaces.lifecycle import ILifecycle
from dstwist.interfaces.permission import IDecider, IPermission, ISimplePermission
from dstwist.interfaces.plugins import IPlugin, IPluginMaker
from dstwist.interfaces.records import (
    ANY_VERSION,
    Done,
    ICallbackStore,
    ICountedCache,
    IDoubtingCache,
    IEnumerableStore,
    IInstantStore,
    IKnowingStore,
    IRecordStore,
    IReplaceableStore,
    ISharedStore,
    IStore,
    IStoreMaker,
    IStoreStatus,
)
from dstwist.interfaces.requests import (
    IConnection,
    IIdentity,
    IRequester,
    IRevocable,
    ITopicService,
    IWriteService,
    Work,
)
from dstwist.interfaces.transport import Decode, Frame, ICodec, ICodecWire, ILink, IOutbox, IReceiver, IWire

# Stores and permissions of plug-ins need these, too.
from dstwist.record import Change, Record

__all__ = [
    "ANY_VERSION",
    "Change",
    "Decode",
    "Done",
    "Frame",
    "HandshakeData",
    "HttpAnswer",
    "HttpOutcome",
    "HttpRequest",
    "HttpStream",
    "IAuthenticator",
    "IBus",
    "ICallbackStore",
    "IClusterTable",
    "IClusterTableHost",
    "ICodec",
    "ICodecWire",
    "ICountedCache",
    "IConnection",
    "IDecider",
    "IDepartures",
    "IDoubtingCache",
    "IEnumerableStore",
    "IHttpHandler",
    "IIdentity",
    "IInstantStore",
    "IKnowingStore",
    "ILifecycle",
    "ILink",
    "IOutbox",
    "IPermission",
    "IPlugin",
    "IPluginMaker",
    "IReceiver",
    "IRecordStore",
    "IReplaceableStore",
    "IRequester",
    "IRevocable",
    "ISharedStore",
    "ISimplePermission",
    "IStore",
    "IStoreMaker",
    "IStoreStatus",
    "ITopicService",
    "IStreamWriter",
    "IWire",
    "IWriteService",
    "Login",
    "PeerCertificate",
    "Record",
    "Route",
    "TableReading",
    "Work",
]
