"""The settings that a report asks for, and which of them distinguish one terminal from another.

Source of the names: zk-protocol `terminal.md`, pyzk 0.9, pyzatt and the npm clients. Settings that may hold an address
of a server, a mail account or a password are not asked for.
"""

from __future__ import annotations

#: Their values are replaced: they name one terminal or its network.
PERSONAL = ("~SerialNumber", "MAC", "IPAddress", "GATEIPAddress", "NetMask", "~ProductTime")

NAMES = (
    *PERSONAL,
    *("~Platform", "~DeviceName", "~OEMVendor", "~OS", "~ZKFPVersion", "ZKFaceVersion", "~ZKFaceVersion"),
    *("~ExtendFmt", "~UserExtFmt", "FaceFunOn", "~FaceFunOn", "FingerFunOn", "~T9FunOn", "BiometricType"),
    *("CompatOldFirmware", "~PIN2Width", "~IsABCPinEnable", "IsSupportABCPin", "~IsOnlyRFMachine", "~RFCardOn"),
    *("~SSR", "~ExtendOPLog", "WorkCode", "Language", "NewLng", "DeviceID", "LockOn", "VoiceOn", "IdleMinute"),
    *("NetworkOn", "RS232On", "RS485On", "RS232BaudRate", "HiSpeedNet", "TCPPort", "UDPPort", "TOMenu", "TOState"),
    *("MThreshold", "EThreshold", "VThreshold", "ShowScore", "Must1To1", "MustEnroll", "OnlyPINCard"),
    *("AlarmAttLog", "AlarmOpLog", "AlarmReRec", "DtFmt", "SDKBuild"),
)

#: A name that no firmware can know.
UNKNOWN = "ZkbridgeAsksWhatNobodyKnows"
