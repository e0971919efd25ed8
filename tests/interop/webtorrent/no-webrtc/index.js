// There is no WebRTC: peers are reached by TCP, as every other client reaches them.
export const RTCPeerConnection = undefined;
export const RTCSessionDescription = undefined;
export const RTCIceCandidate = undefined;
